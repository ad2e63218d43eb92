export default { test: { include: ['audit.vitest.mjs'] } }
