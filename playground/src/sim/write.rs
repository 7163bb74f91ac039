//! Creating and changing objects: decoded, defaulted, owned, checked and stored, in the order of the real server.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::apply::managers::{self, ApplyError, Managers, Writer};
use super::apply::path::FieldSet;
use super::apply::typed;
use super::schema::{Schema, SchemaRef, built_in, decode};
use super::state::{Answer, Caller, FieldValidation, State, Target, text};
use super::status::{About, FieldError, Status};
use super::{admission, convert, defaults, identity, rbac, strategy, validate};

/// What a write has found out on its way.
#[derive(Default)]
struct Notes {
    warnings: Vec<String>,
}

impl State {
    /// Creates an object.
    pub(crate) fn create(
        &mut self,
        caller: &Caller,
        target: &Target,
        body: Value,
    ) -> Result<Answer, Status> {
        let mut target = target.clone();
        let mut notes = Notes::default();
        identity::check_identity(&target, &body)?;
        if !text(&body, "/metadata/resourceVersion").is_empty() {
            let why = "resourceVersion should not be set on objects to be created";
            return Err(Status::plain_error(why));
        }
        let mut object = self.decoded(caller, &target, body, &mut notes)?;
        identity::name_new(&mut target, &mut object)?;
        if let Some(managed) = object
            .pointer_mut("/metadata")
            .and_then(Value::as_object_mut)
        {
            managed.shift_remove("managedFields");
        }
        let object = self.fresh(caller, &target, object)?;
        let body = self.convert_out(&target, &object);
        Ok(Answer {
            code: 201,
            body,
            warnings: notes.warnings,
        })
    }

    /// What creation and an apply that creates have in common: metadata, admission, checks and the write.
    fn fresh(&mut self, caller: &Caller, target: &Target, object: Value) -> Result<Value, Status> {
        admission::namespace_accepts(self, target)?;
        if let Some(other) = self.store.get(&target.resource.id(), &target.key()) {
            let going = other.pointer("/metadata/deletionTimestamp").is_some();
            return Err(Status::already_exists(&target.about(), going));
        }
        let schema = &target.version().schema;
        let mut object = object;
        let mut managers = Managers::default();
        let reset = strategy::reset_fields(target);
        let now = self.clock.text();
        let version = target.api_version();
        managers::update(
            schema,
            &managers::empty_object(schema, &object),
            &object,
            &mut managers,
            &writer(caller, target, &version, &now, &reset),
        );
        managers.write(&mut object);
        self.finish_new(caller, target, object)
    }

    fn finish_new(
        &mut self,
        caller: &Caller,
        target: &Target,
        mut object: Value,
    ) -> Result<Value, Status> {
        let now = self.clock.text();
        strategy::prepare_new(target, &mut object, &now);
        admission::mutate(self, caller, target, &mut object)?;
        let mut object = convert::to_stored(&target.resource, &target.version, object);
        strategy::before_create(self, target, &mut object, caller.dry_run)?;
        validate::new_object(self, target, &object)
            .map_err(|errors| Status::invalid(&target.about_kind(), &errors))?;
        admission::check(self, caller, target, None, Some(&object))?;
        if caller.dry_run {
            return Ok(object);
        }
        let stored = self.store.put(&target.resource.id(), target.key(), object);
        Ok(Value::clone(&stored))
    }

    /// Replaces an object.
    pub(crate) fn update(
        &mut self,
        caller: &Caller,
        target: &Target,
        body: Value,
    ) -> Result<Answer, Status> {
        let mut notes = Notes::default();
        identity::check_identity(target, &body)?;
        let given = text(&body, "/metadata/name");
        if !given.is_empty() && given != target.name {
            return Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                target.name
            )));
        }
        let Some(live) = self
            .store
            .get(&target.resource.id(), &target.key())
            .cloned()
        else {
            if target.subresource.is_none() && strategy::creates_on_update(target) {
                return self.create(caller, target, body);
            }
            return Err(Status::not_found(&target.about()));
        };
        let object = self.decoded(caller, target, body, &mut notes)?;
        if text(&object, "/metadata/resourceVersion").is_empty()
            && !strategy::unconditional_update(target)
        {
            let error = FieldError::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(Status::invalid(&target.about_kind(), &[error]));
        }
        self.replace(caller, target, &live, object, None, notes)
    }

    /// Stores a changed object: an update, or what a patch made of the live one.
    fn replace(
        &mut self,
        caller: &Caller,
        target: &Target,
        stored: &Arc<Value>,
        mut object: Value,
        applied: Option<Managers>,
        notes: Notes,
    ) -> Result<Answer, Status> {
        let live = self.convert_out(target, stored);
        let version = text(&object, "/metadata/resourceVersion");
        if !version.is_empty() && version != text(&live, "/metadata/resourceVersion") {
            return Err(Status::stale(&target.about()));
        }
        let uid = text(&object, "/metadata/uid");
        if !uid.is_empty() && uid != text(&live, "/metadata/uid") {
            return Err(match applied {
                Some(_) => immutable_uid(target, uid),
                None => Status::conflict(&target.about(), &other_uid(target, uid, &live)),
            });
        }
        let now = self.clock.text();
        let api_version = target.api_version();
        let before = Managers::of(&live).unwrap_or_default();
        let managers = match applied {
            Some(managers) => managers,
            // Nobody's fields are followed from in between: only from the creation on, or from the first apply.
            None if before.entries.is_empty() => Managers::default(),
            None => {
                let mut managers = managers_of_update(target, &live, &object);
                let reset = strategy::reset_fields(target);
                managers::update(
                    &target.version().schema,
                    &live,
                    &object,
                    &mut managers,
                    &writer(caller, target, &api_version, &now, &reset),
                );
                managers
            }
        };
        strategy::prepare_update(target, &live, &mut object);
        let managers = if managers.same_fields(&before) {
            before
        } else {
            managers
        };
        managers.write(&mut object);
        let unmanaged = object.pointer("/metadata/managedFields").is_none();
        if unmanaged && let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.shift_remove("managedFields");
        }
        strategy::bump_generation(target, &live, &mut object);
        let object = convert::to_stored(&target.resource, &target.version, object);
        validate::changed_object(self, target, stored, &object)
            .map_err(|errors| Status::invalid(&target.about_kind(), &errors))?;
        admission::check(self, caller, target, Some(stored), Some(&object))?;
        self.store_changed(caller, target, stored, object, notes)
    }

    fn store_changed(
        &mut self,
        caller: &Caller,
        target: &Target,
        stored: &Arc<Value>,
        mut object: Value,
        notes: Notes,
    ) -> Result<Answer, Status> {
        object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
        if object == **stored || typed::equal(&object, stored) {
            return Ok(Answer {
                code: 200,
                body: self.convert_out(target, stored),
                warnings: notes.warnings,
            });
        }
        let done = object.pointer("/metadata/deletionTimestamp").is_some()
            && object
                .pointer("/metadata/finalizers")
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty)
            && !strategy::has_own_finalizers(&object);
        if caller.dry_run {
            return Ok(Answer {
                code: 200,
                body: self.convert_out(target, &object),
                warnings: notes.warnings,
            });
        }
        let id = target.resource.id();
        let object = if done {
            // The last finalizer is gone: this write is the deletion.
            self.store.remove(&id, &target.key());
            object
        } else {
            Value::clone(&self.store.put(&id, target.key(), object))
        };
        Ok(Answer {
            code: 200,
            body: self.convert_out(target, &object),
            warnings: notes.warnings,
        })
    }

    /// Stores what a patch of the live object gave.
    pub(crate) fn patched(
        &mut self,
        caller: &Caller,
        target: &Target,
        live: &Arc<Value>,
        object: Value,
    ) -> Result<Answer, Status> {
        let mut notes = Notes::default();
        identity::check_identity(target, &object)?;
        for (field, pointer) in [
            ("name", "/metadata/name"),
            ("namespace", "/metadata/namespace"),
        ] {
            let (new, old) = (text(&object, pointer), text(live, pointer));
            if new != old {
                let error = FieldError::invalid(
                    &format!("metadata.{field}"),
                    &json!(new),
                    "field is immutable",
                );
                let renamed = format!(
                    "the {field} of the object ({new}) does not match the {field} on the URL ({old})"
                );
                return Err(if field == "name" {
                    Status::bad_request(renamed)
                } else {
                    Status::invalid(&target.about_kind(), &[error])
                });
            }
        }
        let shown = if target.resource.is("", "secrets") {
            Value::from("(not shown)")
        } else {
            sorted_top(&object).to_string().into()
        };
        let undecodable = |status: Status| {
            Status::invalid(
                &About::default(),
                &[FieldError::invalid(
                    "patch",
                    &shown,
                    own_words(target, &status),
                )],
            )
        };
        let object = self
            .decoded(caller, target, object, &mut notes)
            .map_err(undecodable)?;
        self.replace(caller, target, live, object, None, notes)
    }

    /// Server-side apply.
    pub(crate) fn apply(
        &mut self,
        caller: &Caller,
        target: &Target,
        config: Value,
    ) -> Result<Answer, Status> {
        identity::check_apply(caller, target, &config)?;
        let mut notes = Notes::default();
        let stored = self
            .store
            .get(&target.resource.id(), &target.key())
            .cloned();
        let schema = &target.version().schema;
        let live = match &stored {
            Some(stored) => self.convert_out(target, stored),
            None if target.subresource.is_some() => return Err(Status::not_found(&target.about())),
            None if text(&config, "/metadata/name").is_empty() => {
                let name = &target.name;
                return Err(Status::bad_request(format!(
                    "the name of the object ({name} based on URL) was undeterminable: name must be provided"
                )));
            }
            None => managers::empty_object(schema, &config),
        };
        identity::check_apply_version(target, &config, stored.as_deref())?;
        if stored.is_none() {
            rbac::check_create(self, caller, target)?;
        }
        // Its errors name it as it came.
        let name = format!("{}/{}", text(&config, "/metadata/namespace"), target.name);
        let mut config = config;
        if let Some(metadata) = config["metadata"].as_object_mut() {
            metadata
                .entry("name")
                .or_insert_with(|| target.name.clone().into());
            if target.resource.namespaced {
                metadata
                    .entry("namespace")
                    .or_insert_with(|| target.namespace.clone().into());
            }
        }
        let mut managers = Managers::of(&live).unwrap_or_default();
        let reset = strategy::reset_fields(target);
        let (version, now) = (target.api_version(), self.clock.text());
        let writer = writer(caller, target, &version, &now, &reset);
        let merged = managers::apply(schema, &live, &config, &mut managers, &writer, caller.force)
            .map_err(|e| apply_status(target, &name, e))?;
        let mut object = merged.unwrap_or_else(|| live.clone());
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.shift_remove("managedFields");
        }
        let object = self
            .decoded(caller, target, object, &mut notes)
            .map_err(|status| unconvertible(target, &name, status))?;
        match stored {
            Some(stored) => self.replace(caller, target, &stored, object, Some(managers), notes),
            None => {
                let mut object = object;
                managers.write(&mut object);
                admission::namespace_accepts(self, target)?;
                let object = self.finish_new(caller, target, object)?;
                Ok(Answer {
                    code: 201,
                    body: self.convert_out(target, &object),
                    warnings: notes.warnings,
                })
            }
        }
    }

    /// Decodes a body into its kind: unknown fields, wrong types, pruning and defaults.
    fn decoded(
        &self,
        caller: &Caller,
        target: &Target,
        body: Value,
        notes: &mut Notes,
    ) -> Result<Value, Status> {
        let mut unknown = Vec::new();
        let mut object = body;
        match &target.version().schema {
            Schema::BuiltIn(_) => {
                let mut findings = decode::Findings::default();
                object = decode::normalise(target.version().schema.root(), object, &mut findings);
                if let Some(error) = findings.errors.first() {
                    let (kind, version) = (&target.resource.kind, &target.version);
                    return Err(Status::bad_request(format!(
                        "{kind} in version {version:?} cannot be handled as a {kind}: {error}"
                    )));
                }
                unknown = findings.unknown;
                object["kind"] = target.resource.kind.clone().into();
                object["apiVersion"] = target.api_version().into();
                defaults::fill(&target.resource, &target.version, &mut object);
            }
            Schema::Custom(custom) => {
                let mut findings = decode::Findings::default();
                let table = built_in();
                let meta = SchemaRef {
                    arena: &table.arena,
                    id: table.object_meta,
                };
                let metadata = object
                    .get_mut("metadata")
                    .map(Value::take)
                    .unwrap_or_else(|| json!({}));
                object["metadata"] = decode::normalise(meta, metadata, &mut findings);
                if let Some(error) = findings.errors.first() {
                    return Err(Status::bad_request(error.clone()));
                }
                unknown.extend(
                    findings
                        .unknown
                        .iter()
                        .map(|path| format!("metadata.{path}")),
                );
                unknown.extend(custom.prune(&mut object));
                custom.default(&mut object);
            }
        }
        if !unknown.is_empty() {
            let named: Vec<String> = unknown
                .iter()
                .map(|path| format!("unknown field {path:?}"))
                .collect();
            match caller.validation {
                FieldValidation::Strict => {
                    let (kind, version) = (&target.resource.kind, &target.version);
                    return Err(Status::bad_request(match target.version().schema {
                        Schema::BuiltIn(_) => format!(
                            "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
                            named.join(", ")
                        ),
                        Schema::Custom(_) => format!(
                            "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
                            named.join(", ")
                        ),
                    }));
                }
                FieldValidation::Warn => notes.warnings.extend(named),
                FieldValidation::Ignore => {}
            }
        }
        notes.warnings.extend(validate::warnings(target, &object));
        Ok(object)
    }

    /// An object as a version of its kind shows it.
    pub(crate) fn convert_out(&self, target: &Target, stored: &Value) -> Value {
        convert::from_stored(&target.resource, &target.version, stored.clone())
    }
}

fn writer<'a>(
    caller: &'a Caller,
    target: &'a Target,
    version: &'a str,
    now: &'a str,
    reset: &'a FieldSet,
) -> Writer<'a> {
    Writer {
        manager: &caller.manager,
        subresource: target.subresource(),
        version,
        now,
        reset,
    }
}

/// The managers that an update starts from: those of the request where it has some, else those of the live object.
fn managers_of_update(target: &Target, live: &Value, object: &Value) -> Managers {
    let of_live = || Managers::of(live).unwrap_or_default();
    if target.subresource.is_some() {
        return of_live();
    }
    let given = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    if given.is_some_and(|entries| {
        entries.len() == 1 && entries[0].as_object().is_some_and(Map::is_empty)
    }) {
        return Managers::default();
    }
    match Managers::of(object) {
        Ok(managers) if !managers.entries.is_empty() => managers,
        _ => of_live(),
    }
}

fn apply_status(target: &Target, name: &str, error: ApplyError) -> Status {
    match error {
        ApplyError::Typed(problem) => Status::plain_error(format!(
            "failed to create typed patch object ({name}; {}): {problem}",
            target.gvk()
        )),
        ApplyError::BadRequest(message) => Status::bad_request(message),
        ApplyError::Conflicts(conflicts) => Status::apply_conflict(&conflicts),
    }
}

/// What is wrong with an object, without that it could not be decoded.
fn own_words<'a>(target: &Target, status: &'a Status) -> &'a str {
    let (kind, version) = (&target.resource.kind, &target.version);
    let prefix = format!("{kind} in version {version:?} cannot be handled as a {kind}: ");
    let message = status.message();
    message.strip_prefix(&prefix).unwrap_or(message)
}

/// What an applied configuration says when its values do not fit the Go types of its kind.
fn unconvertible(target: &Target, name: &str, status: Status) -> Status {
    let cause = own_words(target, &status);
    if cause == status.message() || cause.starts_with("strict decoding error") {
        return status;
    }
    let gvk = target.gvk();
    Status::plain_error(format!(
        "failed to convert new object ({name}; {gvk}) to proper version: unable to convert unstructured object to {gvk}: error decoding from json: {cause}"
    ))
}

/// Nobody changes a uid by applying another; both the API machinery and the kind check it.
fn immutable_uid(target: &Target, uid: &str) -> Status {
    let error = FieldError::invalid("metadata.uid", &json!(uid), "field is immutable");
    Status::invalid(&target.about_kind(), &[error.clone(), error])
}

fn other_uid(target: &Target, uid: &str, live: &Value) -> String {
    let group = if target.resource.custom {
        format!("{}/", target.resource.group)
    } else {
        String::new()
    };
    format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{}{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
        target.resource.plural,
        if target.resource.namespaced {
            format!("{}/", target.namespace)
        } else {
            String::new()
        },
        target.name,
        text(live, "/metadata/uid")
    )
}

/// An object as a map of Go prints it: its own keys in order.
fn sorted_top(object: &Value) -> Value {
    let mut object = object.clone();
    strategy::order_metadata(&mut object);
    if let Some(map) = object.as_object_mut() {
        map.sort_keys();
    }
    object
}
