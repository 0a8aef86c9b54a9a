//! The call to those who may decide, once half of the time to do so is over: a copy of what is asked beside its card. It is closed
//! with the card.

use qd_types::{Approval, ApprovalId, Role};

use crate::{
    chat::{Channel, Message, MessageKey},
    desk,
    effect::Effect,
    text,
};

fn key(id: &ApprovalId) -> MessageKey {
    MessageKey(format!("escalation:{}", id.key()))
}

/// Half of the time is over: those who may decide are called, once.
pub(crate) fn raised(approval: &Approval, roles: &[Role]) -> Effect {
    let text = text::escalation(approval, roles);
    Effect::Put(Message {
        about: desk::about(approval),
        mentions: roles.to_vec(),
        ..Message::new(Channel::Approvals, key(&approval.id), text)
    })
}

/// It is decided, or can't be any more: what its card says, the call says as well. Nobody is called by an edit.
pub(crate) fn over(approval: &Approval, card: String) -> Effect {
    Effect::Put(Message {
        about: desk::about(approval),
        ..Message::new(Channel::Approvals, key(&approval.id), card)
    })
}
