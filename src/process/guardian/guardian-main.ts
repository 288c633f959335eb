import { readHost } from '../../wine/host.ts';

// The guardian's process: see Guardian, which starts it.

// Under Wine koffi may have to look for its binary where the launcher keeps it, and does so as soon as it is loaded.
const host = readHost(process.env);
if (host !== undefined) Object.assign(process, { resourcesPath: host.nativeModules });

import('./server.ts').then((server) => server.serveAsGuardian());
