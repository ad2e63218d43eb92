module.exports = { testMatch: ['**/audit.jest.js'] }
