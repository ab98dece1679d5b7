#!/usr/bin/env node
// npm links a command only to a file that is there at install time; in a fresh clone dist/ is not.
import '../dist/bin.js';
