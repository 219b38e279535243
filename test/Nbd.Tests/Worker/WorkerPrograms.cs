using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Tests that start the worker program run one after the other: they measure stalls on two cores.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class WorkerPrograms
{
    public const string Name = "worker programs";
}
