using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Removes the old files (or keeps them, when asked to) and ends what did not switch.</summary>
internal sealed class RemoveSourcesStep(StorageMove move) : MoveStep(move, StorageMovePhases.Finish, "Remove the old files")
{
    public override async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        foreach (var item in Move.Items)
        {
            if (context.GetFact(SwitchStep.StayedFact(item)) is null)
            {
                await ForgetAsync(item, context, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await new CopyDiskStep(Move, item).UndoAsync(context, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task ForgetAsync(StorageMoveItem item, JobContext context, CancellationToken cancellationToken)
    {
        var status = await Move.AskAsync(context, new GetStatus(), cancellationToken).ConfigureAwait(false);
        CheckServingStep.Require(Move, status, item);
        if (StorageMove.Mirror(status, item, context.JobId) is not null)
        {
            var forget = new ForgetMirror(item.Disk, context.JobId, Move.Request.RetainSource);
            await Move.AskAsync(context, forget, cancellationToken).ConfigureAwait(false);
        }
        if (!Move.Request.RetainSource && Move.Parts.Folders.FileExists(item.Source))
        {
            throw new GodwitException(
                ErrorCode.IoFailed, $"The old file '{item.Source}' is still there.",
                $"{item.Disk} runs from '{item.Target}'. Delete the old file by hand.");
        }
    }
}
