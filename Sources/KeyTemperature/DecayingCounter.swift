internal import Glibc

/// A count that forgets: what was added `timeConstant` seconds ago weighs 1/e of what is added now.
/// At a steady rate its value is the rate times the time constant.
public struct DecayingCounter: Sendable, Equatable {
  /// Seconds.
  public let timeConstant: Double
  /// The decayed sum of what was added.
  public private(set) var value = 0.0
  /// The value that a steady rate of 1 per second, begun with this counter, would have by now.
  public private(set) var ofUnitRate = 0.0

  /// `timeConstant`: seconds, more than 0.
  public init(timeConstant: Double) {
    precondition(timeConstant > 0)
    self.timeConstant = timeConstant
  }

  /// Counts something that happens now.
  public mutating func add(_ amount: Double) { value += amount }

  /// Lets time pass; 0 or more seconds.
  public mutating func advance(by seconds: Double) {
    let factor = exp(-seconds / timeConstant)
    value *= factor
    ofUnitRate = ofUnitRate * factor + timeConstant * (1 - factor)
  }

  /// Per second, right from the start: a young counter is not taken for an idle one. 0 before any
  /// time has passed.
  public var rate: Double { ofUnitRate > 0 ? value / ofUnitRate : 0 }
}
