/// What one check has found.
public struct Finding: Sendable, Equatable, Encodable {
  /// How bad it is.
  public enum Verdict: String, Sendable, Encodable {
    case ok
    /// The rack works, but not as well as it could, or not in every case.
    case warning
    /// Packets will not flow, or the controller will not start.
    case bad
  }

  /// What was looked at: a stable name, such as `driver_mode`.
  public var check: String
  /// The interface, server or other thing that it is about; nil: the host.
  public var subject: String?
  public var verdict: Verdict
  /// What is so.
  public var text: String
  /// What to type, or to do; nil where nothing is to be done.
  public var fix: String?

  init(
    _ check: String, _ subject: String? = nil, _ verdict: Verdict = .ok, _ text: String,
    fix: String? = nil
  ) {
    self.check = check
    self.subject = subject
    self.verdict = verdict
    self.text = text
    self.fix = fix
  }
}
