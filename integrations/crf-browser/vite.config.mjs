export default { build: { outDir: 'bundled', minify: false }, worker: { format: 'es' }, logLevel: 'warn' };
