import { serveAuditor } from './server.ts';

// The helper process: see QueryHelper, which starts it.

serveAuditor();
