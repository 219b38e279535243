using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>A step of a storage move that leaves nothing to undo unless it says otherwise.</summary>
internal abstract class MoveStep(StorageMove move, string phase, string name) : IJobStep
{
    public string Name { get; } = name;

    public string Phase { get; } = phase;

    protected StorageMove Move { get; } = move;

    public abstract Task RunAsync(JobContext context, CancellationToken cancellationToken);

    public virtual Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
