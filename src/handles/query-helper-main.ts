import { serveAuditor } from './query-server.ts';

// The helper process: see QueryHelper, which starts it.

serveAuditor();
