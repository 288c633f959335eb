// Starts probe.js as bin/unclosed.cjs starts the tool.
import { fileURLToPath } from 'node:url';
import { launch } from '../../../launcher/launch.js';

process.exitCode = await launch(fileURLToPath(new URL('probe.js', import.meta.url)), process.argv.slice(2));
