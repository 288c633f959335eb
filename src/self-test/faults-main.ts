import { readHost } from '../wine/host.ts';

// The program of the self-test: `node faults-main.js <file for its account> <mode>`. See SelfTest, which starts it.

// Under Wine koffi may have to look for its binary where the launcher keeps it, and does so as soon as it is loaded.
const host = readHost(process.env);
if (host !== undefined) Object.assign(process, { resourcesPath: host.nativeModules });

const [account = '', mode = ''] = process.argv.slice(2);
import('./commit.ts').then((script) => script.commitFaults(account, mode));
