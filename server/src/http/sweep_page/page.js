'use strict';
// The merchant's own wallet signs sweeps here. The token is a variable and nothing else. What the server plans is checked
// before it is offered: the contract called is a constant of this page, and the call must be the one that empties exactly
// the deposits shown to exactly the receiver shown.
(() => {
  const facts = document.querySelector('main').dataset;
  const ZERO = '0x' + '0'.repeat(40);
  const LOOK_EVERY_MS = 2000;
  const byId = (id) => document.getElementById(id);

  /** Wallets that announced themselves (EIP-6963), by their id. */
  const wallets = new Map();
  let chosen = null;
  let token = '';
  /** Rises with each plan that is shown; what belongs to an earlier one stops. */
  let round = 0;

  // Drawing

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function say(text) {
    byId('status').textContent = text;
  }

  /** Thousandths of a dollar; by their digits, so that no amount is ever a fraction. */
  function dollars(millis) {
    if (millis === null) return 'unknown';
    const digits = String(millis).padStart(4, '0');
    return `$${digits.slice(0, -3)}.${digits.slice(-3).replace(/0$/, '')}`;
  }

  function deposits(count) {
    return count === 1 ? '1 deposit' : `${count} deposits`;
  }

  function fact(term, text) {
    return element('div', {}, element('dt', { textContent: term }), element('dd', { textContent: text }));
  }

  // What the server says

  async function ask(path) {
    const answer = await fetch(path, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      redirect: 'error',
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.message ?? `The server answered ${answer.status}.`);
    return body;
  }

  // Checking a plan

  function must(holds, text) {
    if (!holds) throw new Error(text);
  }

  /** Takes a call of `sweep(address,bytes32[],address[])` apart, in the one way such a call is written. */
  function decode(data) {
    const wrong = 'the call is not a sweep';
    must(typeof data === 'string' && /^0x[0-9a-f]+$/.test(data) && data.startsWith(facts.selector), wrong);
    const digits = data.slice(facts.selector.length);
    must(digits.length % 64 === 0, wrong);
    const words = digits.match(/.{64}/g) ?? [];
    const number = (word) => {
      must(word !== undefined && BigInt('0x' + word) < 1000000n, wrong);
      return Number(BigInt('0x' + word));
    };
    const address = (word) => {
      must(word !== undefined && word.startsWith('0'.repeat(24)), wrong);
      return '0x' + word.slice(24);
    };
    const count = number(words[3]);
    const assetsAt = 4 + count;
    const assets = number(words[assetsAt]);
    const isWhole = number(words[1]) === 3 * 32 && number(words[2]) === assetsAt * 32
      && words.length === assetsAt + 1 + assets;
    must(isWhole, wrong);
    return {
      receiver: address(words[0]),
      salts: words.slice(4, assetsAt).map((word) => '0x' + word),
      assets: words.slice(assetsAt + 1).map(address),
    };
  }

  /** Makes sure that a sweep does what is shown of it, and nothing else. */
  function check(sweep) {
    must(/^0x[0-9a-fA-F]{40}$/.test(sweep.receiver), 'the receiver is no address');
    must(sweep.to.toLowerCase() === facts.factory.toLowerCase(), 'it calls another contract than the deposit factory');
    must(sweep.value === '0', 'it would send coin');
    must(Number.isSafeInteger(sweep.chain_id) && 0 < sweep.chain_id, 'it names no chain');
    const call = decode(sweep.data);
    must(call.receiver === sweep.receiver.toLowerCase(), 'it pays another wallet than the receiver');
    const same = (a, b) => a.length === b.length && a.every((item, index) => item === b[index]);
    must(same(call.salts, sweep.deposits.map((deposit) => deposit.salt.toLowerCase())), 'it empties other deposits');
    const shown = sweep.amounts.map((amount) => (amount.token_address ?? ZERO).toLowerCase());
    must(same([...call.assets].sort(), shown.sort()), 'it moves other tokens');
  }

  // Wallets

  function announced(event) {
    const { info, provider } = event.detail ?? {};
    if (typeof info?.uuid !== 'string' || typeof provider?.request !== 'function' || wallets.has(info.uuid)) return;
    wallets.set(info.uuid, provider);
    const input = element('input', { type: 'radio', name: 'wallet', value: info.uuid });
    input.addEventListener('change', () => choose(info.uuid));
    const label = element('label', { className: 'wallet' }, input);
    if (/^data:image\//.test(info.icon ?? '')) label.append(element('img', { src: info.icon, alt: '' }));
    label.append(String(info.name ?? 'Wallet'));
    byId('wallet-list').append(label);
    byId('no-wallet').hidden = true;
    if (chosen === null) {
      input.checked = true;
      choose(info.uuid);
    }
  }

  function choose(uuid) {
    chosen = wallets.get(uuid);
    for (const button of document.querySelectorAll('.sign')) button.disabled = button.dataset.state === 'busy';
  }

  async function toChain(provider, chainId) {
    const wanted = '0x' + chainId.toString(16);
    const isThere = async () => Number(await provider.request({ method: 'eth_chainId' })) === chainId;
    if (await isThere()) return;
    try {
      await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: wanted }] });
    } catch (error) {
      if (error?.code === 4902) throw new Error(`Your wallet does not know chain ${chainId}. Add it there, then try again.`);
      throw error;
    }
    must(await isThere(), `Your wallet is on another chain than ${chainId}.`);
  }

  const pause = () => new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));

  /** Sends a sweep and follows it until the server says that it settled what it emptied. */
  async function sign(sweep, show, mine) {
    check(sweep);
    const provider = chosen;
    show('Your wallet asks you now.');
    const [from] = await provider.request({ method: 'eth_requestAccounts' });
    await toChain(provider, sweep.chain_id);
    // The constant of this page, not what the server said.
    const call = { from, to: facts.factory, value: '0x0', data: sweep.data };
    const hash = await provider.request({ method: 'eth_sendTransaction', params: [call] });
    must(typeof hash === 'string' && /^0x[0-9a-fA-F]{64}$/.test(hash), 'Your wallet named no transaction. Look there.');
    show(`Sent as ${hash}. Waiting until it is in a block.`);
    const receipt = await mined(provider, hash, mine);
    if (receipt === null) return;
    must(Number(receipt.status) === 1, `The transaction ${hash} failed; nothing was moved.`);
    const stayed = new Set((receipt.logs ?? [])
      .filter((log) => log.address.toLowerCase() === facts.factory.toLowerCase() && log.topics[0] === facts.failed)
      .map((log) => '0x' + log.topics[2].slice(26).toLowerCase()));
    const emptied = sweep.deposits.filter((deposit) => !stayed.has(deposit.address.toLowerCase()));
    const left = stayed.size === 0 ? '' : ` ${deposits(stayed.size)} could not be moved and stayed where they are.`;
    show(`In block ${Number(receipt.blockNumber)}.${left} Waiting until it is final.`);
    await settled(hash, emptied, (count) => show(`${count} of ${deposits(emptied.length)} settled.${left}`), mine);
    if (mine()) show(`Settled: ${deposits(emptied.length)} emptied by ${hash}.${left}`, stayed.size === 0 ? 'good' : 'bad');
  }

  async function mined(provider, hash, mine) {
    while (mine()) {
      const receipt = await provider.request({ method: 'eth_getTransactionReceipt', params: [hash] });
      if (receipt) return receipt;
      await pause();
    }
    return null;
  }

  /** Waits until the log of events says of every one of these deposits that this transaction settled it. */
  async function settled(hash, emptied, tell, mine) {
    const waiting = new Set(emptied.map((deposit) => deposit.invoice_id));
    while (mine() && waiting.size !== 0) {
      const events = await ask('api/v1/events?type=invoice_payment.updated&limit=100');
      const before = waiting.size;
      for (const { data: { object: payment } } of events.data.data) {
        const isByIt = payment.settlement?.settlement_tx_hash?.toLowerCase() === hash.toLowerCase();
        if (isByIt && payment.settlement_status === 'settled') waiting.delete(payment.invoice_id);
      }
      if (waiting.size !== before) tell(emptied.length - waiting.size);
      if (waiting.size !== 0) await pause();
    }
  }

  // What is shown

  function safeFile(sweep) {
    const batch = {
      version: '1.0',
      chainId: String(sweep.chain_id),
      createdAt: Date.now(),
      meta: {
        name: `pepay sweep on ${sweep.network}`,
        description: `Sends what ${deposits(sweep.deposits.length)} hold to ${sweep.receiver}`,
        txBuilderVersion: '',
        createdFromSafeAddress: '',
        createdFromOwnerAddress: '',
      },
      transactions: [{ to: facts.factory, value: '0', data: sweep.data, contractMethod: null, contractInputsValues: null }],
    };
    const url = URL.createObjectURL(new Blob([JSON.stringify(batch, null, 2)], { type: 'application/json' }));
    element('a', { href: url, download: `sweep-${sweep.network}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  function drawSweep(sweep, mine) {
    const progress = element('p', { className: 'progress', hidden: true });
    const show = (text, kind) => {
      if (!mine()) return;
      progress.hidden = false;
      progress.className = kind ? `progress progress--${kind}` : 'progress';
      progress.textContent = text;
      say(text);
    };
    const card = element('article', { className: 'card' },
      element('h2', { textContent: `${sweep.network_title}: ${deposits(sweep.deposits.length)}` }));
    try {
      check(sweep);
    } catch (error) {
      card.append(element('p', {
        className: 'progress progress--bad',
        textContent: `This plan was refused: ${error.message}. Do not sign it anywhere, and ask whoever runs the server.`,
      }));
      return card;
    }
    const button = element('button', {
      className: 'button sign', type: 'button', textContent: 'Sign and send', disabled: chosen === null,
    });
    button.addEventListener('click', async () => {
      button.disabled = true;
      button.dataset.state = 'busy';
      try {
        await sign(sweep, show, mine);
        button.hidden = true;
      } catch (error) {
        button.disabled = false;
        delete button.dataset.state;
        show(error?.code === 4001 ? 'You declined it in the wallet. Nothing was sent.' : String(error?.message ?? error), 'bad');
      }
    });
    const file = element('button', { className: 'button button--plain', type: 'button', textContent: 'Safe batch file' });
    file.addEventListener('click', () => safeFile(sweep));
    const amounts = sweep.amounts.map((amount) =>
      element('li', { textContent: `${amount.token_amount} ${amount.token_symbol}` }));
    const addresses = sweep.deposits.map((deposit) =>
      element('li', {}, element('code', { textContent: deposit.address }), ` of invoice ${deposit.invoice_id}`));
    card.append(
      element('p', {}, 'To your wallet', element('strong', { className: 'receiver', textContent: sweep.receiver })),
      element('ul', { className: 'amounts' }, ...amounts),
      element('dl', { className: 'facts' },
        fact('Worth', dollars(sweep.value_usd_millis)),
        fact('Gas, about', dollars(sweep.cost?.usd_millis ?? null)),
        fact('Chain', String(sweep.chain_id))),
      element('div', { className: 'buttons' }, button, file),
      progress,
      element('details', {},
        element('summary', { textContent: 'The call, for any other wallet' }),
        element('dl', {},
          fact('Contract (the deposit factory)', sweep.to),
          fact('Value', '0'),
          element('div', {}, element('dt', { textContent: 'Data' }),
            element('dd', { className: 'call', tabIndex: 0, textContent: sweep.data })))),
      element('details', {},
        element('summary', { textContent: 'Deposits' }),
        element('ul', { className: 'list' }, ...addresses)),
    );
    return card;
  }

  const REASONS = {
    not_worth_it: 'not worth its gas yet',
    value_unknown: 'without a price at present',
    cost_unknown: 'with no known price of gas',
    failed: 'that a sweep could not move lately',
  };

  function drawRest(plan) {
    const rest = [];
    if (plan.left.length !== 0) {
      const lines = plan.left.map((left) => element('li', {
        textContent: `${left.network}: ${deposits(left.deposits.length)} worth ${dollars(left.value_usd_millis)}, `
          + `${REASONS[left.reason] ?? left.reason}`,
      }));
      rest.push(element('section', { className: 'card' },
        element('h2', { textContent: 'Left for later' }),
        element('p', {
          className: 'hint',
          textContent: `Money is offered once it is worth more than ${plan.worth_times_cost} times its gas, or after `
            + `${plan.after_days} days.`,
        }),
        element('ul', { className: 'list' }, ...lines)));
    }
    if (plan.failures.length !== 0) {
      const lines = plan.failures.map((failure) => element('li', {}, `${failure.network}: ${failure.token_symbol} of invoice ${failure.invoice_id} `
        + `(${failure.reason}), in `, element('code', { textContent: failure.tx_hash })));
      rest.push(element('section', { className: 'card' },
        element('h2', { textContent: 'Could not be moved' }),
        element('ul', { className: 'list' }, ...lines)));
    }
    return rest;
  }

  async function load(event) {
    event.preventDefault();
    token = byId('token').value.trim();
    round += 1;
    const own = round;
    const mine = () => own === round;
    say('Asking what is due.');
    byId('sweeps').replaceChildren();
    byId('rest').replaceChildren();
    try {
      const plan = await ask(`api/v1/merchant/sweeps?all=${byId('all').checked}`);
      if (!mine()) return;
      byId('wallets').hidden = plan.sweeps.length === 0;
      byId('sweeps').replaceChildren(...plan.sweeps.map((sweep) => drawSweep(sweep, mine)));
      byId('rest').replaceChildren(...drawRest(plan));
      const count = plan.sweeps.length;
      say(count === 0 ? 'Nothing is due.' : `${count === 1 ? 'One transaction' : `${count} transactions`} to sign.`);
    } catch (error) {
      if (mine()) say(String(error?.message ?? error));
    }
  }

  byId('open').addEventListener('submit', load);
  window.addEventListener('eip6963:announceProvider', announced);
  window.dispatchEvent(new Event('eip6963:requestProvider'));
})();
