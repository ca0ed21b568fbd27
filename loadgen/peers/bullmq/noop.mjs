// BullMQ: no-op jobs, pushed in bulk and run by one worker.
//
// noop.mjs enqueue URL JOBS
// noop.mjs work URL CONCURRENCY JOBS    prints `first NS` and `last NS` of the monotonic clock, until it is ended
import { Queue, Worker } from "bullmq";

const [order, url, ...numbers] = process.argv.slice(2);
const { hostname: host, port, protocol, pathname } = new URL(url);
const connection =
  protocol === "unix:" ? { path: pathname } : { host, port: Number(port), maxRetriesPerRequest: null };
const jobs = Number(numbers.at(-1));
const pushed = 1_000;

const mark = (name) => console.log(`${name} ${process.hrtime.bigint()}`);

if (order === "enqueue") {
  const queue = new Queue("noop", { connection });
  const job = { name: "Noop", data: {}, opts: { removeOnComplete: true, removeOnFail: true } };
  for (let done = 0; done < jobs; done += pushed) {
    await queue.addBulk(Array(Math.min(pushed, jobs - done)).fill(job));
  }
  await queue.close();
} else {
  let done = 0;
  const perform = async () => {
    done += 1;
    if (done === 1) mark("first");
    if (done === jobs) mark("last");
  };
  const worker = new Worker("noop", perform, { connection, concurrency: Number(numbers[0]) });
  worker.on("error", (error) => console.error(error));
  process.on("SIGTERM", async () => {
    await worker.close();
    process.exit(0);
  });
}
