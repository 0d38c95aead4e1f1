// What a shop does with its tables themselves after orderctl has adopted or made them: lines of the table in
// docs/adopting.md. The last one spoils a table, and `migrate up` repairs it.
"use strict";

const assert = require("node:assert/strict");

const { DataTypes } = require("sequelize");

const { pay, shown, take } = require("./orders.cjs");

const NEXT_ID = / AUTO_INCREMENT=\d+/u;
const TABLES = ["orders", "download_tasks", "order_audit_logs"];

const definitions = async (shop) => {
  const found = {};
  for (const table of TABLES) {
    const [[row]] = await shop.sequelize.query(`SHOW CREATE TABLE ${table}`);
    found[table] = row["Create Table"].replace(NEXT_ID, "");
  }
  return found;
};

/** Return the definition of a column, or nothing when it does not exist. */
const column = async (shop, table, name) =>
  (await definitions(shop))[table].split("\n").find((text) => text.trim().startsWith(`\`${name}\` `));

/** Check that `migrate up` finds something to repair, and that nothing is missing afterwards. */
const repair = async (shop) => {
  assert.equal((await shop.run("migrate", "check")).status, 1);
  await shop.orderctl("migrate", "up");
  await shop.orderctl("migrate", "check");
};

const lines = [];
/** Add a line: its words in the table of the page, whether it works, and what shows that on one database. */
const line = (title, works, show) => lines.push({ title, works, show });

line("`sequelize.sync()`, before and after `migrate up`", "yes", async (shop) => {
  const before = await definitions(shop);
  await shop.sequelize.sync();
  assert.deepEqual(await definitions(shop), before);
  await shop.orderctl("migrate", "check");
});

line("`sync({ alter: { drop: false } })`", "yes", async (shop) => {
  const before = await definitions(shop);
  await shop.sequelize.sync({ alter: { drop: false } });
  assert.deepEqual(await definitions(shop), before);
  const Order = shop.extended({ gift: DataTypes.STRING(20) });
  await Order.sync({ alter: { drop: false } });
  assert.ok(await column(shop, "orders", "gift"));
});

line(
  "migrations (umzug, sequelize-cli): `addColumn`, `addIndex`, `removeColumn` of the shop's own",
  "yes",
  async (shop) => {
    await shop.migrate({
      up: async ({ context }) => {
        await context.addColumn("orders", "coupon", { type: DataTypes.STRING(20) });
        await context.addIndex("orders", ["coupon"], { name: "orders_coupon" });
      },
      down: ({ context }) => context.removeColumn("orders", "coupon"),
    });
    await shop.orderctl("migrate", "check");
    await shown(await take(shop), shop);
  },
);

line("`mysqldump`, and `mysql` with what it wrote", "yes", async (shop) => {
  const order = await take(shop);
  await pay(order, shop);
  const copy = await shop.copy();
  await copy.orderctl("migrate", "check");
  assert.deepEqual(await shown(order, copy), await shown(order, shop));
});

line("migrations: `changeColumn` of a status", "yes, but", async (shop) => {
  const { DownloadTask } = shop.models;
  const change = (definition) => shop.queryInterface.changeColumn("download_tasks", "status", definition);
  const order = await take(shop);
  await shop.orderctl("tasks", "cancel", String(order.tasks[0].id));
  const older = { type: DataTypes.ENUM("pending", "enrolled", "completed", "failed") };
  await assert.rejects(change(older), (error) => error.original.code === "WARN_DATA_TRUNCATED");
  await DownloadTask.update({ status: "failed" }, { where: { status: ["downloading", "cancelled"] } });
  await change(older);
  const changed = await column(shop, "download_tasks", "status");
  assert.ok(changed.includes("DEFAULT NULL") && !changed.includes("'downloading'"));
  await repair(shop);
  assert.ok((await column(shop, "download_tasks", "status")).includes("'downloading'"));
  await change(DownloadTask.getAttributes().status);
  await shop.orderctl("migrate", "check");
});

module.exports = lines;
