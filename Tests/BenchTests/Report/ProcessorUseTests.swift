import Testing

@testable import Bench

@Suite struct ProcessorUseTests {
  private func sample(
    time: Double, own: Double, servers: Double, all: [String: Double], idle: Double,
    stolen: Double = 0
  ) -> ProcessorUse.Sample {
    ProcessorUse.Sample(
      time: time, cores: 2, own: own, roles: ["servers": servers], all: all, idle: idle,
      softInterrupts: 0, stolen: stolen)
  }

  @Test func whatIsLeftOverIsTheSmallerOfTwoAccounts() throws {
    let first = sample(time: 0, own: 1, servers: 2, all: ["1/1": 1, "2/1": 2], idle: 100)
    let idle = sample(time: 10, own: 3, servers: 5, all: ["1/1": 3, "2/1": 5], idle: 112)
    let use = try #require(ProcessorUse(from: first, to: idle))
    #expect(use.generator == 0.2 && use.processes == ["servers": 0.3])
    // Idle by the kernel's samples: 1.2; by what processes have used: 1.5.
    #expect(abs(use.spare - 1.2) < 1e-9)
    #expect(abs(use.others - 0.3) < 1e-9)
    let busy = sample(
      time: 10, own: 3, servers: 5, all: ["1/1": 3, "2/1": 5, "3/9": 4], idle: 119, stolen: 1)
    let other = try #require(ProcessorUse(from: first, to: busy))
    #expect(abs(other.spare - 1.0) < 1e-9)
    #expect(abs(other.stolen - 0.1) < 1e-9)
    #expect(ProcessorUse(from: first, to: first) == nil)
  }

  @Test func theKernelsFilesAreRead() throws {
    let times = SystemTimes(
      """
      cpu  10 1 20 3000 40 5 60 7 0 0
      cpu0 5 1 10 1500 20 5 30 7 0 0
      cpu1 5 0 10 1500 20 0 30 0 0 0
      intr 1 2 3
      """)
    #expect(times.cores == 2 && times.idle == 3_040)
    #expect(times.softInterrupts == 60 && times.stolen == 7)
    let process = try #require(
      ProcessTimes("7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 75 3 4 20 0 3 0 8899 1 2 3\n"))
    #expect(process.used == 325 && process.start == 8_899)
    #expect(ProcessTimes("") == nil)
  }

  @Test func thisMachineHasProcessors() {
    let sample = ProcessorUse.Sample.take(roles: [:])
    #expect(sample.cores > 0 && sample.time > 0 && !sample.all.isEmpty)
  }
}
