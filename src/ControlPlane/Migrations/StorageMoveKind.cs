using System.Text.Json;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Migrations.Steps;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Migrations;

/// <summary>Makes the steps of a storage move.</summary>
/// <param name="parts">What a move works with.</param>
/// <param name="limit">Moves that run at the same time.</param>
public sealed class StorageMoveKind(VirtualMachineParts parts, int limit = StorageMoveKind.DefaultLimit) : IJobKind
{
    /// <summary>Moves that run at the same time unless configured otherwise: Hyper-V's default.</summary>
    public const int DefaultLimit = 2;

    /// <summary>The kind's name.</summary>
    public const string KindName = "move-storage";

    /// <inheritdoc/>
    public string Name => KindName;

    /// <inheritdoc/>
    public int Limit => limit;

    /// <inheritdoc/>
    public IReadOnlyList<IJobStep> Plan(string order)
    {
        var move = new StorageMove(parts, JsonSerializer.Deserialize(order, StoreJson.Default.StorageMoveOrder)!);
        return
        [
            new ValidateStep(move),
            new ReserveStep(move),
            new MakeFolderStep(move),
            new StartWorkerStep(move.Worker, StorageMovePhases.Prepare),
            .. move.Items.Select(item => new CopyDiskStep(move, item)),
            .. move.Items.Select(item => new VerifyDiskStep(move, item)),
            new SwitchStep(move),
            new CheckServingStep(move),
            new RemoveSourcesStep(move),
            new SettleStep(move),
            new ReleaseWorkerStep(move.Worker, StorageMovePhases.Finish),
        ];
    }
}
