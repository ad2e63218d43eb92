export default {
  test: {
    include: ['*.vitest.mjs'],
    // By default each file has a process of its own.
    pool: process.env.POOL,
    testTimeout: 60_000,
  },
}
