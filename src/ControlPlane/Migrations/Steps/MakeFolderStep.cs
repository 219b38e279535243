using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Creates the target folder where it is missing.</summary>
internal sealed class MakeFolderStep(StorageMove move) : MoveStep(move, StorageMovePhases.Prepare, "Make the target folder")
{
    private const string CreatedFact = "created-folder";

    public override Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        if (Move.Parts.Folders.FirstMissing(Move.Folder) is { } top)
        {
            // Repeated after a crash between two parents: the first note names the topmost one and stays.
            if (context.GetFact(CreatedFact) is null)
            {
                context.SetFact(CreatedFact, top);
            }
            Move.Parts.Folders.Create(Move.Folder);
        }
        return Task.CompletedTask;
    }

    public override Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        if (context.GetFact(CreatedFact) is { } top)
        {
            Move.Parts.Folders.RemoveEmpty(Move.Folder, top);
        }
        return Task.CompletedTask;
    }
}
