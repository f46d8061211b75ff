import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

/** One HTML file per audience, so that nobody loads another's code. */
export const pages = ['index', 'launch', 'lab', 'teacher', 'learner', 'watch', 'replay', 'operations', 'office'] as const;

export default defineConfig({
  plugins: [svelte()],
  // Absolute: /watch/{session} and /replay/{session} are served from a deeper path.
  base: '/',
  build: {
    target: 'es2022',
    outDir: 'dist',
    // data: URLs would need an exception in the content-security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: Object.fromEntries(pages.map((page) => [page, `${page}.html`])) },
  },
  // Svelte's server build is what Node resolves by default; the tests mount components as a browser does.
  resolve: process.env['VITEST'] ? { conditions: ['browser'] } : {},
  // a property over thousands of texts takes 2 s alone and 7 s beside a build: only a hang is a failure
  test: { include: ['test/**/*.test.ts'], environment: 'node', testTimeout: 30_000 },
});
