using System.Globalization;
using Godwit.Api;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Ownership;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Marks the VM as moving, which reserves the next generation for the files it will be served from.</summary>
internal sealed class ReserveStep(StorageMove move) : MoveStep(move, StorageMovePhases.Prepare, "Reserve the next generation")
{
    private const string GenerationFact = "generation";

    public override async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var record = await ReadAsync(Move, cancellationToken).ConfigureAwait(false);
        context.SetFact(GenerationFact, record.Generation.ToString(CultureInfo.InvariantCulture));
        if (record.Phase == OwnershipPhase.Moving)
        {
            return;
        }
        var moving = record with { Phase = OwnershipPhase.Moving };
        if (!await Move.Parts.Ownership.TryReplaceAsync(record, moving, cancellationToken).ConfigureAwait(false))
        {
            throw new GodwitException(ErrorCode.Busy, "The VM's ownership record was just changed by somebody else.", "Try again.");
        }
    }

    public override async Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        var record = await ReadAsync(Move, cancellationToken).ConfigureAwait(false);
        if (record.Phase == OwnershipPhase.Moving)
        {
            var settled = record with { Phase = OwnershipPhase.Settled };
            await Move.Parts.Ownership.TryReplaceAsync(record, settled, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Gives the reserved generation to the result; fine when that has been done.</summary>
    public static async Task ConfirmAsync(StorageMove move, JobContext context, CancellationToken cancellationToken)
    {
        var record = await ReadAsync(move, cancellationToken).ConfigureAwait(false);
        var before = long.Parse(context.GetFact(GenerationFact)!, CultureInfo.InvariantCulture);
        if (record.Generation == before && record.Phase == OwnershipPhase.Moving)
        {
            var next = record with { Generation = before + 1, Phase = OwnershipPhase.Settled };
            await move.Parts.Ownership.TryReplaceAsync(record, next, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<OwnershipRecord> ReadAsync(StorageMove move, CancellationToken cancellationToken)
    {
        var vm = move.Vm;
        var record = await move.Parts.Ownership.ReadAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        if (record?.Owner != move.Parts.HostId)
        {
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' is not owned by this host.");
        }
        return record;
    }
}
