//! The slots of an assignment on the shards that have them: each shard gets a part, and as few slots as possible change
//! their queue when the assignment does.

/// See the module.
#[derive(Debug, Clone)]
pub struct Spread {
    /// Slots of each shard.
    shards: Vec<usize>,
    /// For each shard, how many of them each queue has.
    rows: Vec<Vec<usize>>,
}

impl Spread {
    /// Shards with this many slots, none of which a queue has yet.
    #[must_use]
    pub fn new(shards: Vec<usize>, queues: usize) -> Self {
        let rows = shards.iter().map(|_| vec![0; queues]).collect();
        Self { shards, rows }
    }

    /// Changes it to this assignment. Slots that the shards do not have are not given.
    pub fn assign(&mut self, slots: &[usize]) {
        // What is taken first makes room for what is given.
        for (queue, &wanted) in slots.iter().enumerate() {
            for _ in wanted..self.of(queue) {
                let most = self.rows.iter_mut().max_by_key(|row| row[queue]);
                most.into_iter().for_each(|row| row[queue] -= 1);
            }
        }
        for (queue, &wanted) in slots.iter().enumerate() {
            for _ in self.of(queue)..wanted {
                let free = |(shard, row): &(usize, &mut Vec<usize>)| {
                    self.shards[*shard].saturating_sub(row.iter().sum())
                };
                // Of equal ones that which has fewer of this queue, so that a queue is served by several.
                let best =
                    self.rows.iter_mut().enumerate().filter(|one| free(one) > 0).max_by_key(|one| {
                        (free(one), std::cmp::Reverse(one.1[queue]), std::cmp::Reverse(one.0))
                    });
                best.into_iter().for_each(|(_, row)| row[queue] += 1);
            }
        }
    }

    /// How many slots of each queue a shard has.
    #[must_use]
    pub fn row(&self, shard: usize) -> &[usize] {
        &self.rows[shard]
    }

    /// Slots of a queue on all shards.
    fn of(&self, queue: usize) -> usize {
        self.rows.iter().map(|row| row[queue]).sum()
    }
}
