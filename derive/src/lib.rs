//! `#[derive(Job)]`: a struct becomes a job, with what concerns it as attributes. Its documentation is in the crate
//! `jiggler-uring`, which exports it beside the trait; nothing here knows a queue or Redis.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Data, DeriveInput, Error, Expr, Lit, LitInt, LitStr, Result, parse_macro_input};

/// What `#[job(…)]` may hold.
const KEYS: &str = "name, queue, retries, timeout, retry_queue, retry_policy";

/// A struct as a job, by attributes `#[job(…)]`, each of which may be left out: `name = "Billing::Charge"` (else the name
/// of the type), `queue = "mails"`, `retries = 5`, `timeout = 30` (seconds; also `0.5` or a `Duration`),
/// `retry_queue = "later"`, `retry_policy = RetryPolicy::fixed(PAUSE)`. The trait `Job` of `jiggler-uring` says what each
/// means.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// The attributes of one job.
#[derive(Default)]
struct Attributes {
    name: Option<LitStr>,
    queue: Option<LitStr>,
    retries: Option<LitInt>,
    timeout: Option<Expr>,
    retry_queue: Option<LitStr>,
    retry_policy: Option<Expr>,
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !matches!(input.data, Data::Struct(_)) {
        let reason = "only a struct can be a job: its fields, in their order, are the arguments";
        return Err(Error::new(input.ident.span(), reason));
    }
    let mut attributes = Attributes::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("job")) {
        attribute.parse_nested_meta(|meta| attributes.read(&meta))?;
    }
    let items = attributes.items(&input.ident.to_string())?;
    let name = &input.ident;
    let (generics, parameters, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::jiggler_uring::Job for #name #parameters #bounds {
            #(#items)*
        }
    })
}

impl Attributes {
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(key) = meta.path.get_ident().map(ToString::to_string) else {
            return Err(meta.error(format!("a job has no such attribute; it may have {KEYS}")));
        };
        match key.as_str() {
            "name" => read(&mut self.name, meta),
            "queue" => read(&mut self.queue, meta),
            "retries" => read(&mut self.retries, meta),
            "timeout" => read(&mut self.timeout, meta),
            "retry_queue" => read(&mut self.retry_queue, meta),
            "retry_policy" => read(&mut self.retry_policy, meta),
            _ => Err(meta.error(format!("a job has no attribute `{key}`; it may have {KEYS}"))),
        }
    }

    /// The items of the implementation. What is not given is left to the trait.
    fn items(&self, type_name: &str) -> Result<Vec<TokenStream>> {
        let name = self.name.clone().unwrap_or_else(|| LitStr::new(type_name, Span::call_site()));
        if name.value().is_empty() {
            return Err(Error::new(name.span(), "a job needs a name"));
        }
        let mut items = vec![quote!(const NAME: &'static str = #name;)];
        if let Some(queue) = &self.queue {
            items.push(quote!(const QUEUE: &'static str = #queue;));
        }
        if let Some(retries) = &self.retries {
            items.push(
                quote!(const RETRIES: ::core::option::Option<u32> = ::core::option::Option::Some(#retries);),
            );
        }
        if let Some(queue) = &self.retry_queue {
            items.push(quote! {
                const RETRY_QUEUE: ::core::option::Option<&'static str> = ::core::option::Option::Some(#queue);
            });
        }
        if let Some(timeout) = &self.timeout {
            let timeout = duration(timeout)?;
            items.push(quote! {
                const TIMEOUT: ::core::option::Option<::core::time::Duration> = ::core::option::Option::Some(#timeout);
            });
        }
        if let Some(policy) = &self.retry_policy {
            items.push(quote!(fn retry_policy() -> ::jiggler_uring::RetryPolicy { #policy }));
        }
        Ok(items)
    }
}

/// Reads the value of an attribute that may be given once.
fn read<T: syn::parse::Parse>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if slot.is_some() {
        return Err(meta.error("this attribute is given twice"));
    }
    *slot = Some(meta.value()?.parse()?);
    Ok(())
}

/// Seconds as a number, or a `Duration`.
fn duration(value: &Expr) -> Result<TokenStream> {
    let Expr::Lit(literal) = value else { return Ok(quote!(#value)) };
    match &literal.lit {
        Lit::Int(seconds) => Ok(quote!(::core::time::Duration::from_secs(#seconds))),
        Lit::Float(seconds) => {
            let nanos = (seconds.base10_parse::<f64>()? * 1e9) as u64;
            Ok(quote!(::core::time::Duration::from_nanos(#nanos)))
        }
        _ => Err(Error::new_spanned(value, "a timeout is a number of seconds, or a `Duration`")),
    }
}
