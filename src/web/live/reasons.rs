//! The words by which a client learns what is wrong: codes of `error` frames, and reasons of close frames.
//!
//! Promises: words and numbers are stable; `docs/websocket.md` lists every one, which a test checks.

/// Why the server closes a session, as the close frame says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The process stops.
    Shutdown,
    /// The client does not keep up with closed bars, or takes nothing for long.
    Slow,
    /// No frame came from the client for too long.
    Idle,
    /// The client exceeded a limit.
    Limit,
    /// A message was too long.
    TooLong,
    /// A text message is not UTF-8.
    NotText,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [CloseReason; 6] = [
        CloseReason::Shutdown,
        CloseReason::Slow,
        CloseReason::Idle,
        CloseReason::Limit,
        CloseReason::TooLong,
        CloseReason::NotText,
    ];

    /// Returns the close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            CloseReason::Shutdown => 1001,
            CloseReason::NotText => 1007,
            CloseReason::TooLong => 1009,
            CloseReason::Idle => 4008,
            CloseReason::Slow => 4013,
            CloseReason::Limit => 4029,
        }
    }

    /// Returns the reason in the close frame.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            CloseReason::Shutdown => "shutdown",
            CloseReason::Slow => "slow",
            CloseReason::Idle => "idle",
            CloseReason::Limit | CloseReason::TooLong => "limit",
            CloseReason::NotText => "utf8",
        }
    }
}

/// Codes of `error` frames: stable words for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The message is not JSON.
    BadJson,
    /// A field is missing or malformed.
    BadRequest,
    /// `type` is unknown.
    UnknownType,
    /// A channel is unknown.
    UnknownChannel,
    /// A window is not configured.
    UnknownWindow,
    /// The request exceeds the limit of topics; existing subscriptions stay.
    TooManySubscriptions,
    /// The client sends more messages than allowed; the rest of the second is ignored.
    TooManyMessages,
    /// A message exceeds the length limit; the session is closed.
    MessageTooLong,
    /// The limit of clients is reached; the session is closed.
    TooManyConnections,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [ErrorCode; 9] = [
        ErrorCode::BadJson,
        ErrorCode::BadRequest,
        ErrorCode::UnknownType,
        ErrorCode::UnknownChannel,
        ErrorCode::UnknownWindow,
        ErrorCode::TooManySubscriptions,
        ErrorCode::TooManyMessages,
        ErrorCode::MessageTooLong,
        ErrorCode::TooManyConnections,
    ];

    /// Returns the code as clients see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BadJson => "bad_json",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::UnknownType => "unknown_type",
            ErrorCode::UnknownChannel => "unknown_channel",
            ErrorCode::UnknownWindow => "unknown_window",
            ErrorCode::TooManySubscriptions => "too_many_subscriptions",
            ErrorCode::TooManyMessages => "too_many_messages",
            ErrorCode::MessageTooLong => "message_too_long",
            ErrorCode::TooManyConnections => "too_many_connections",
        }
    }
}
