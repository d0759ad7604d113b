// Removes what was built, so that nothing that has no source any more is shipped or tested.

import { rmSync } from 'node:fs';

for (const folder of ['dist', 'build']) rmSync(new URL(folder, import.meta.url), { recursive: true, force: true });
