import ArgumentParser

/// `hotrack bench`: one file for each benchmark.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure the rack and its parts against baselines of the same run.",
    subcommands: [
      BenchDataplaneCommand.self,
      BenchFlappingCommand.self,
      BenchForwarderCommand.self,
      BenchLoopsCommand.self,
      BenchObserveCommand.self,
      BenchRackCommand.self,
      BenchReactionCommand.self,
      BenchRestartCommand.self,
      BenchServerCommand.self,
      BenchStoreCommand.self,
    ])
}
