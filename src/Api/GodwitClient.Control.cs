using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;

namespace Godwit.Api;

/// <summary>Settings, name, processors and saved state of a VM.</summary>
public sealed partial class GodwitClient
{
    /// <summary>Changes some settings of a VM.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="change">What to change; every path absolute.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> SetVirtualMachineAsync(string name, SettingsChange change, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Patch, VmPath(name) + "/settings", ToJson(change, ApiJson.Default.SettingsChange), ApiJson.Default.VirtualMachine, Quick,
        cancellationToken);

    /// <summary>Gives a VM another name.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="newName">Its new name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> RenameVirtualMachineAsync(string name, string newName, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, VmPath(name) + "/rename", ToJson(new RenameRequest(newName), ApiJson.Default.RenameRequest),
        ApiJson.Default.VirtualMachine, Quick, cancellationToken);

    /// <summary>Stops the processors of a VM.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> PauseVirtualMachineAsync(string name, CancellationToken cancellationToken) => ActAsync(name, "pause", cancellationToken);

    /// <summary>Lets the processors of a VM run again.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> ResumeVirtualMachineAsync(string name, CancellationToken cancellationToken) => ActAsync(name, "resume", cancellationToken);

    /// <summary>Presses the reset button of a VM.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> ResetVirtualMachineAsync(string name, CancellationToken cancellationToken) => ActAsync(name, "reset", cancellationToken);

    /// <summary>Starts to save a VM and answers with the job, which goes on by itself.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> SaveVirtualMachineAsync(string name, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, VmPath(name) + "/save", null, ApiJson.Default.Job, Quick, cancellationToken);

    /// <summary>Forgets the saved state of a VM.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> DiscardSavedStateAsync(string name, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Delete, VmPath(name) + "/saved-state", null, ApiJson.Default.VirtualMachine, Quick, cancellationToken);

    private Task<VirtualMachine> ActAsync(string name, string act, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, $"{VmPath(name)}/{act}", null, ApiJson.Default.VirtualMachine, Slow, cancellationToken);
}
