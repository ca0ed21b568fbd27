//! How many parameters a handler may have: none, or up to seven arguments plus a last one that a job may leave out.

/// Calls a macro with the parameters of each handler: those before the last, and the last.
macro_rules! for_each_arity {
    ($handlers:ident) => {
        $handlers! {
            ;
            , Z;
            A1, Z;
            A1 A2, Z;
            A1 A2 A3, Z;
            A1 A2 A3 A4, Z;
            A1 A2 A3 A4 A5, Z;
            A1 A2 A3 A4 A5 A6, Z;
            A1 A2 A3 A4 A5 A6 A7, Z;
        }
    };
}

pub(super) use for_each_arity;
