/// One value of a rack file.
public struct RackSetting: Sendable, Equatable {
  /// Of its key: `policy.choice`; of servers with their number: `server 3.port`.
  public var path: String
  /// As it stands in the file.
  public var value: String

  /// The value of the key of this path.
  public init(path: String, value: String) {
    self.path = path
    self.value = value
  }
}

/// Why a rack file that was read again is not used.
public struct ReloadRefusal: Error, Equatable, Sendable {
  public var problems: [ControlReload.Item]

  /// At least one problem.
  public init(_ problems: [ControlReload.Item]) { self.problems = problems }
}
