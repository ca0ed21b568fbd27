// Each exported function is a job: `jiggler-uring -r examples/runners/node/jobs.mjs`, then in a second terminal
// `jiggler-uring enqueue Fetch '["https://example.org"]'`.
export async function Fetch(url) {
  const job = jigglerUring.current();
  if (!url.startsWith('https://')) throw jigglerUring.dead(`not a secure address: ${url}`);
  // job.signal ends the request when the job is cancelled or late.
  await new Promise((done) => setTimeout(done, 10));
  job.log(`fetched ${url}`);
  await jigglerUring.enqueue('Index', [url], { retries: 5 });
}

export const Index = (url) => console.log(`indexed ${url}`);
