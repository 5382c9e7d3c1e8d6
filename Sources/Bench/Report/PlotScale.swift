internal import Foundation

/// Where values lie on an axis, and which of them are written beside it.
struct PlotScale: Equatable {
  /// The ends of the axis.
  let range: ClosedRange<Double>
  let isLogarithmic: Bool
  /// Values with a label, ascending, within the range.
  let ticks: [Double]

  /// An axis for these values; those that it cannot show (not finite, or not above 0 on a
  /// logarithmic axis) are left out. `fromZero`: amounts, of which a part must not look like all.
  init(_ axis: Plot.Axis, values: [Double], fromZero: Bool) {
    isLogarithmic = axis.isLogarithmic
    let shown = values.filter { Self.canShow($0, axis.isLogarithmic) }
    if axis.isLogarithmic {
      let (low, high) = (axis.lowest ?? shown.min() ?? 1, axis.highest ?? shown.max() ?? 10)
      let first = floor(log10(low) + 1e-9)
      let last = max(ceil(log10(high) - 1e-9), first + 1)
      range = pow(10, first)...pow(10, last)
      ticks = stride(from: first, through: last, by: 1).map { pow(10, $0) }
      return
    }
    var low = axis.lowest ?? shown.min() ?? 0
    var high = axis.highest ?? shown.max() ?? 1
    if fromZero, axis.lowest == nil { low = min(low, 0) }
    if fromZero, axis.highest == nil { high = max(high, 0) }
    if high <= low { high = low + max(abs(low), 1) }
    let step = Self.step(over: high - low)
    // Ends that were asked for stay as they are.
    let first = axis.lowest ?? floor(low / step + 1e-9) * step
    let last = axis.highest ?? ceil(high / step - 1e-9) * step
    range = first...max(last, first + step)
    let upper = range.upperBound
    let begin = ceil(first / step - 1e-9)
    ticks = stride(from: begin, through: floor(upper / step + 1e-9), by: 1).map { $0 * step }
  }

  /// Whether an axis can show it at all.
  static func canShow(_ value: Double, _ isLogarithmic: Bool) -> Bool {
    value.isFinite && (!isLogarithmic || value > 0)
  }

  /// Where a value lies between the ends, 0 ... 1; beyond an end: at the end.
  func place(_ value: Double) -> Double {
    let (low, high) = (range.lowerBound, range.upperBound)
    let place =
      isLogarithmic
      ? (log10(value) - log10(low)) / (log10(high) - log10(low))
      : (value - low) / (high - low)
    return min(max(place, 0), 1)
  }

  /// 1, 2 or 5 times a power of ten, so that there are four to ten steps.
  private static func step(over length: Double) -> Double {
    let power = pow(10, floor(log10(length / 5)))
    let factor = [1.0, 2, 5].last { length / ($0 * power) >= 4 } ?? 1
    return factor * power
  }

  /// A tick as people write it: no more digits than the step needs.
  func label(_ tick: Double) -> String {
    let size = abs(tick)
    if size >= 1e6 { return Self.short(tick / 1e6) + "M" }
    if size >= 1e4 { return Self.short(tick / 1e3) + "k" }
    return Self.short(tick)
  }

  private static func short(_ value: Double) -> String {
    // What rounding has left of a zero is none.
    abs(value) < 1e-12 ? "0" : String(format: "%.6g", value)
  }
}
