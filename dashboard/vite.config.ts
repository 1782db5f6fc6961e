import { defineConfig } from 'vite';

/** Where a server runs whose feed `npm run dev` shows. */
const server = process.env['TICKWIRE_URL'] ?? 'http://127.0.0.1:8050';

export default defineConfig({
  // Relative, so that a proxy may serve the page under any prefix.
  base: './',
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api': server, '/ws': { target: server, ws: true } } },
});
