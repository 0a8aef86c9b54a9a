//! Files that belong to a feature: kept by their content beside the board, read by agents where they are.

use std::io::Write as _;

use qd_api::FeatureView;
use qd_board::{Attachment, EditFeature};
use qd_types::{FeatureId, Verb};
use sha2::{Digest as _, Sha256};

use crate::{
    problem,
    team::{Answer, Caller, Team},
};

/// Largest file, in bytes.
pub(crate) const MAX_ATTACHMENT: usize = 10 * 1024 * 1024;

impl Team {
    /// What is in a file that belongs to a feature, by its name.
    pub async fn attachment(&self, id: &FeatureId, name: &str) -> Answer<Vec<u8>> {
        let found = self.feature(id).await?.feature.wanted.attachments;
        let file = found.into_iter().find(|file| file.name == name).ok_or_else(|| {
            problem::not_found(
                format!("{id} has no file {name}."),
                "quarterdeck feature show names what it has.",
            )
        })?;
        let read = tokio::fs::read(self.attachment_path(&file)).await;
        read.map_err(|error| problem::internal("reading an attachment", &error))
    }

    /// Keeps a file and notes it with the feature. One of the same name is replaced.
    pub async fn attach(
        &self,
        caller: &Caller,
        id: &FeatureId,
        name: &str,
        bytes: Vec<u8>,
    ) -> Answer<FeatureView> {
        self.permit(caller, Verb::FeatureAttach)?;
        let name = name.trim().to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
        if !(1..=100).contains(&name.len()) || name.starts_with('.') || !name.chars().all(plain) {
            let text = format!(
                "name: {name:?} is not a file's name: letters, digits, spaces, - _ and ., at most 100."
            );
            return Err(problem::invalid(text));
        }
        let seen = self.feature(id).await?.feature;
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = Attachment { name: name.clone(), sha256, bytes: bytes.len() as u64 };
        let path = self.attachment_path(&file);
        let written = tokio::task::spawn_blocking(move || {
            let Some(folder) = path.parent() else { return Ok(()) };
            std::fs::create_dir_all(folder)?;
            let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
            temporary.write_all(&bytes)?;
            temporary.as_file().sync_all()?;
            temporary.persist(path).map(drop).map_err(|error| error.error)
        });
        written
            .await
            .map_err(|error| problem::internal("keeping an attachment", &error))?
            .map_err(|error| problem::internal("keeping an attachment", &error))?;
        let mut all = seen.wanted.attachments;
        all.retain(|other| other.name != name);
        all.push(file);
        let edit = EditFeature::of(Some(seen.version)).set("attachments", all);
        self.change(caller, id, edit, None).await
    }
}
