/** @jest-config-loader esbuild-register */
import type { Config } from 'jest'

const config: Config = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  // The worker under test is the compiled one: building first keeps a bare `npx jest` honest.
  globalSetup: '<rootDir>/test/support/build.ts',
  transform: {
    '^.+\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.json' }],
    // A package that has modules of ECMAScript alone, which jest cannot require.
    'get-east-asian-width.+\\.js$': [
      'ts-jest',
      {
        tsconfig: { allowJs: true, module: 'commonjs', isolatedModules: true },
        diagnostics: false,
      },
    ],
  },
  transformIgnorePatterns: ['/node_modules/(?!get-east-asian-width/)'],
  // The line serializers are generated at build time and have no source file to transform.
  moduleNameMapper: { '^\\./line-serializers$': '<rootDir>/dist/format/line-serializers.js' },
  // Above the limits of test/support/waiting.ts, which say what is wrong.
  testTimeout: 120_000,
}

// Not `export default`: in a package of CommonJS, Node 22.18 and later would load that with a warning.
module.exports = config
