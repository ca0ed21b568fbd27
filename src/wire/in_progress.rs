//! How the gem marks the lists of what its servers run: `<queue>:in_progress:<uuid>`.

/// The part of a key by which the gem's requeuer recognises the lists of jobs its servers took.
pub(super) const IN_PROGRESS: &str = "in_progress";

/// Where the name of a list says that a Ruby server runs its jobs; `None`: they wait. The word inside a queue's own name
/// marks nothing.
pub(super) fn marker(name: &str) -> Option<usize> {
    name.find(IN_PROGRESS)
        .filter(|at| name[..*at].ends_with(':') && name[at + IN_PROGRESS.len()..].starts_with(':'))
}
