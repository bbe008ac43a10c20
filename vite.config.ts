import { defineConfig } from 'vite';

// The playground: a page, its scripts and its styles, all served by Skein itself. `npm start` builds it when it is stale.
// For work on it, `npx vite` serves it with live updates and takes the graph from a Skein that runs on port 4000.
const server = 'http://127.0.0.1:4000';

const config = defineConfig({
  root: 'src/playground',
  // The page may lie below a path of a proxy's.
  base: './',
  oxc: { jsx: { runtime: 'automatic' } },
  build: {
    outDir: '../../dist/playground',
    emptyOutDir: true,
    target: 'es2022',
    // Inlined files would be `data:` links, which the page's policy forbids to fonts and scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { '/graphql': { target: server, ws: true }, '/files': server, '/uploads': server },
  },
});

export default config;
