//! Where GitHub is, with which App or token, and which repository is which.
