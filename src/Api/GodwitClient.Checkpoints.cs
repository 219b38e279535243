using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;

namespace Godwit.Api;

/// <content>Checkpoints.</content>
public sealed partial class GodwitClient
{
    /// <summary>The checkpoints of a VM, the oldest first.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<CheckpointList> ListCheckpointsAsync(string name, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, VmPath(name) + "/checkpoints", null, ApiJson.Default.CheckpointList, Quick, cancellationToken);

    /// <summary>Starts to take a checkpoint and answers with the job.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="spec">What is asked for.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> CreateCheckpointAsync(string name, CheckpointSpec spec, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, VmPath(name) + "/checkpoints", ToJson(spec, ApiJson.Default.CheckpointSpec), ApiJson.Default.Job, Slow, cancellationToken);

    /// <summary>Starts to apply a checkpoint and answers with the job; the VM is saved or off afterwards.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="checkpoint">Id or name of the checkpoint.</param>
    /// <param name="request">How.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> ApplyCheckpointAsync(string name, string checkpoint, ApplyRequest request, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, CheckpointPath(name, checkpoint) + "/apply", ToJson(request, ApiJson.Default.ApplyRequest), ApiJson.Default.Job, Slow, cancellationToken);

    /// <summary>Gives a checkpoint another name.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="checkpoint">Id or name of the checkpoint.</param>
    /// <param name="newName">Its new name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<CheckpointList> RenameCheckpointAsync(string name, string checkpoint, string newName, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, CheckpointPath(name, checkpoint) + "/rename", ToJson(new RenameRequest(newName), ApiJson.Default.RenameRequest),
        ApiJson.Default.CheckpointList, Quick, cancellationToken);

    /// <summary>Removes a checkpoint and answers with the job that merges its images.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="checkpoint">Id or name of the checkpoint.</param>
    /// <param name="subtree">Remove all below it too.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> RemoveCheckpointAsync(string name, string checkpoint, bool subtree, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Delete, CheckpointPath(name, checkpoint) + (subtree ? "?subtree=true" : ""), null, ApiJson.Default.Job, Slow, cancellationToken);

    /// <summary>Starts to merge what removed checkpoints have left and answers with the job.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> MergeCheckpointsAsync(string name, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, VmPath(name) + "/checkpoint-merges", null, ApiJson.Default.Job, Slow, cancellationToken);

    private static string CheckpointPath(string name, string checkpoint) => $"{VmPath(name)}/checkpoints/{Segment(checkpoint)}";
}
