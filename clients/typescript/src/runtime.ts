/**
 * Whether this program runs where its users can read it: a page, a worker of one, or an app. Servers at the
 * edge are none of these, though some of them look like a worker at first sight.
 */
export function isBrowser(): boolean {
  const scope = globalThis as {
    window?: { document?: unknown };
    importScripts?: unknown;
    WorkerGlobalScope?: unknown;
    navigator?: { product?: unknown };
  };
  const isPage = scope.window?.document !== undefined;
  const isWorker =
    typeof scope.WorkerGlobalScope === 'function' &&
    typeof scope.importScripts === 'function' &&
    globalThis instanceof (scope.WorkerGlobalScope as new () => object);
  return isPage || isWorker || scope.navigator?.product === 'ReactNative';
}

/** Waits, unless the signal stops it. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
