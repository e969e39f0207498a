// An application of Express, with its defaults: node express.js MODULE PORT. Each answer says what it was taken for.
const [module_, port] = process.argv.slice(2);
const app = require(module_)();

app.get("/customers/export", (_, response) => response.json({ served: "export" }));
app.get("/customers/:id", (_, response) => response.json({ served: "one" }));
app.get("/search", (request, response) => {
  const asked = request.query.birth_date !== undefined;
  response.json({ served: asked ? "birth_date" : "all" });
});
app.use((_, response) => response.json({ served: "nothing" }));
app.listen(Number(port), "127.0.0.1");
