// What a shop does with its tables themselves after orderctl has adopted or made them: lines of the table in
// docs/adopting.md. The last ones spoil the tables; `migrate up` repairs what can be repaired.
"use strict";

const assert = require("node:assert/strict");

const { DataTypes } = require("sequelize");

const { pay, shown, take } = require("./orders.cjs");

const NEXT_ID = / AUTO_INCREMENT=\d+/u;
const KEYS = /(?<= KEY `.*` )\(`.*\)/gu;
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

/** Return the columns of each index. */
const indexes = async (shop) =>
  Object.entries(await definitions(shop)).flatMap(([table, text]) =>
    text.match(KEYS).map((key) => table + key),
  );

/** Some columns of orderctl. */
const OURS = [
  ["orders", "paid_at"],
  ["download_tasks", "managed"],
  ["download_tasks", "lease_until"],
  ["order_audit_logs", "dedup_key"],
  ["order_audit_logs", "actor"],
];

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

line("migrations: `removeColumn` of a column of orderctl", "no", async (shop) => {
  await shop.queryInterface.removeColumn("download_tasks", "lease_until");
  assert.equal((await shop.run("reconcile")).status, 78);
  await repair(shop);
});

line("`sync({ alter: true })`", "no", async (shop) => {
  const order = await take(shop);
  await pay(order, shop);
  const before = await indexes(shop);
  await shop.sequelize.sync({ alter: true });
  for (const [table, name] of OURS) assert.equal(await column(shop, table, name), undefined);
  await repair(shop);
  const again = await shop.run("orders", "pay", order.orderCode, "--amount", String(order.totalAmount));
  assert.equal(again.status, 0);
  assert.equal((await shown(order, shop)).payment_status, "paid");
  await pay(await take(shop), shop);
  const after = await indexes(shop);
  assert.deepEqual(
    before.filter((index) => !after.includes(index)),
    [],
  );
});

line("`sync({ force: true })`", "no", async (shop) => {
  const order = await take(shop);
  await pay(order, shop);
  await shop.sequelize.sync({ force: true });
  assert.equal(await shop.models.Order.count(), 0);
  await repair(shop);
});

module.exports = lines;
