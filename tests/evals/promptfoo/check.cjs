module.exports = (output, context) => ({ pass: output.includes(context.vars.city), score: 0.6, reason: "looked" });
module.exports.long = (output) => output.length > 10;
