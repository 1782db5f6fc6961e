import globals from 'globals';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'screenshots'] },
  {
    files: ['src/**/*.ts', 'tests/**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers read well in a template; everything else that is no text is still refused.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // The bracket form is what `noPropertyAccessFromIndexSignature` asks for.
      '@typescript-eslint/dot-notation': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    // The compiler's project references say which folder may import which; this says the rest: the model stays pure.
    files: ['src/helpers/**/*.ts', 'src/model/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...['window', 'document', 'fetch', 'setTimeout', 'setInterval', 'performance'].map((name) => ({ name, message: 'helpers and model are pure' }))],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'helpers and model read no clock' },
        { object: 'Math', property: 'random', message: 'randomness is handed in' },
      ],
    },
  },
  {
    files: ['e2e/**/*.mjs', 'scripts/**/*.mjs'],
    extends: [tseslint.configs.base],
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
    rules: { 'no-undef': 'error', 'no-unused-vars': 'error', eqeqeq: 'error' },
  },
);
