import CHotrack
import Directory
import Glibc

@testable import DataPlane

/// Runs of a program that takes its time (`bpf/testing/linger.bpf.c`), on a thread of their own.
final class LingeringProgram: @unchecked Sendable {
  private let program: LoadedProgram
  private let moments: UnsafeMutablePointer<UInt64>
  private var thread = pthread_t()

  init() throws {
    program = try LoadedProgram(
      .linger, function: "linger",
      configuration: DataPlaneConfiguration(
        rack: RackConfiguration(address: Place.mapped(Place.rack)), buckets: 1))
    moments = try program.memory(of: "moments", as: UInt64.self, count: 2)
  }

  private func moment(_ index: Int) -> Bool { hotrack_load64(moments + index) != 0 }

  var hasEnded: Bool { moment(1) }

  /// Starts a run, and returns when it has begun.
  func start() {
    moments[0] = 0
    moments[1] = 0
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        let program = Unmanaged<LingeringProgram>.fromOpaque(context).takeUnretainedValue()
        _ = try? program.program.run(frame: Array(repeating: 0, count: 64), ingress: 0)
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    while !moment(0) {}
  }

  func join() { pthread_join(thread, nil) }
}
