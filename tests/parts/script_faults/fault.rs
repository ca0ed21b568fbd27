//! What a script is refused, and the lines that refuse it.

/// What is refused.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    None,
    Call(usize),
    Command(String),
}

impl Fault {
    /// Precedes a script. Calls are counted under `calls`, the commands are listed under `commands`.
    pub(crate) fn prelude(&self) -> String {
        let refuses = match self {
            Self::None => "false".to_owned(),
            Self::Call(at) => format!("at == {at}"),
            Self::Command(name) => format!("name == '{name}'"),
        };
        format!(
            "local real, at = redis, 0\n\
             local function refused(name)\n\
             at = at + 1 real.call('SADD', 'commands', name) real.call('SET', 'calls', at)\n\
             return {refuses} end\n\
             local stand_in = {{}}\n\
             stand_in.call = function(name, ...) if refused(name) then error({{err = 'ERR injected'}}) end \
             return real.call(name, ...) end\n\
             stand_in.pcall = function(name, ...) if refused(name) then return {{err = 'ERR injected'}} end \
             return real.pcall(name, ...) end\n\
             stand_in.error_reply, stand_in.sha1hex = redis.error_reply, redis.sha1hex\n\
             local redis = stand_in\n"
        )
    }
}
