/// Finds the highest load that a rack carries by asking about one load after the other. Pure: it
/// says which load to try and is told how that went.
struct LoadSearch {
  /// The highest load that held, if one has.
  private(set) var held: Double?
  /// The lowest load that did not, if one has.
  private(set) var failed: Double?
  private let guess: Double
  private let highest: Double
  private let lowest: Double
  private let resolution: Double
  /// Of the next step out of the known range; doubled with each.
  private var step: Double

  /// Begins at `guess`, never asks about more than `highest`, and ends when what held and what did
  /// not differ by the share `resolution`, at most.
  init(guess: Double, highest: Double, resolution: Double) {
    precondition(guess > 0 && highest > 0 && resolution > 0)
    self.guess = min(guess, highest)
    self.highest = highest
    lowest = highest / 10_000
    self.resolution = resolution
    step = 2.5 * resolution
  }

  /// The load to try next; nil: the search has ended, with the highest load in `held`, or without
  /// any that holds.
  var next: Double? {
    switch (held, failed) {
    case (nil, nil): guess
    case (let held?, nil): held >= highest ? nil : min(held * (1 + step), highest)
    case (nil, let failed?): failed <= lowest ? nil : failed / (1 + step)
    case (let held?, let failed?):
      failed <= held * (1 + resolution) ? nil : (held * failed).squareRoot()
    }
  }

  /// What became of the load `next`.
  mutating func record(_ load: Double, holds: Bool) {
    // Once the range is closed, steps only become smaller.
    if held == nil || failed == nil, (held ?? failed) != nil { step = min(2 * step, 1) }
    if holds { held = max(held ?? load, load) } else { failed = min(failed ?? load, load) }
  }

  /// The load to look at for longer when one that a short look found to hold does not: lower by the
  /// resolution, and by more with each of `failures` such disappointments.
  func lowered(_ load: Double, failures: Int) -> Double {
    load * (1 - min(resolution * Double((failures + 1) / 2), 0.5))
  }
}
