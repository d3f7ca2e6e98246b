module.exports = require('../../../probe');
