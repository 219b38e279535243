namespace Godwit.Qemu.Qmp;

/// <summary>The commands Godwit uses, typed. Each fails with <see cref="QmpException"/> when QEMU refuses and with
/// <see cref="QmpConnectionException"/> when the connection is over.</summary>
/// <remarks>Source: QEMU QMP reference manual.</remarks>
public static class QmpCommands
{
    /// <summary>What the VM is doing.</summary>
    public static Task<QmpStatus> QueryStatusAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("query-status", QmpJson.Default.QmpStatus, cancellationToken);

    /// <summary>The VM's id, as QEMU was started with.</summary>
    public static async Task<Guid> QueryUuidAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        (await qmp.ExecuteAsync("query-uuid", QmpJson.Default.QmpUuid, cancellationToken).ConfigureAwait(false)).Value;

    /// <summary>Whether KVM runs the guest.</summary>
    public static Task<QmpKvm> QueryKvmAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("query-kvm", QmpJson.Default.QmpKvm, cancellationToken);

    /// <summary>Stops the vCPUs and waits until requests in flight are done. Hangs as long as a disk does.</summary>
    public static Task StopAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("stop", QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Lets the vCPUs go on, and repeats requests that were held back because a disk failed.</summary>
    public static Task ContinueAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("cont", QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Presses the power button. A guest that does not listen does nothing.</summary>
    public static Task SystemPowerdownAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("system_powerdown", QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Ends QEMU after requests in flight are done. Hangs as long as a disk does.</summary>
    public static Task QuitAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("quit", QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Presses the reset button. Returns before the guest has begun anew.</summary>
    public static Task SystemResetAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("system_reset", QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>A property of the machine, as text.</summary>
    public static Task<string> GetMachinePropertyAsync(this QmpConnection qmp, string property, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("qom-get", new QmpProperty("/machine", property), QmpJson.Default.QmpProperty, QmpJson.Default.String, cancellationToken);

    /// <summary>How memory and devices are transferred; both ends want the same.</summary>
    public static Task SetMigrationCapabilitiesAsync(
        this QmpConnection qmp, IReadOnlyList<QmpMigrationCapability> capabilities, CancellationToken cancellationToken) => qmp.ExecuteAsync(
        "migrate-set-capabilities", new QmpMigrationCapabilities(capabilities),
        QmpJson.Default.QmpMigrationCapabilities, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Limits of a transfer; both ends want the same number of channels.</summary>
    public static Task SetMigrationParametersAsync(this QmpConnection qmp, QmpMigrationParameters parameters, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync(
            "migrate-set-parameters", parameters, QmpJson.Default.QmpMigrationParameters, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Starts to send memory and devices; returns at once.</summary>
    public static Task MigrateAsync(this QmpConnection qmp, QmpMigrationChannels channels, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("migrate", channels, QmpJson.Default.QmpMigrationChannels, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Starts to receive memory and devices; returns at once.</summary>
    public static Task MigrateIncomingAsync(this QmpConnection qmp, QmpMigrationChannels channels, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("migrate-incoming", channels, QmpJson.Default.QmpMigrationChannels, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>How far a transfer is.</summary>
    public static Task<QmpMigration> QueryMigrationAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        qmp.ExecuteAsync("query-migrate", QmpJson.Default.QmpMigration, cancellationToken);

    /// <summary>All block nodes.</summary>
    public static async Task<IReadOnlyList<QmpBlockNode>> QueryNamedBlockNodesAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        await qmp.ExecuteAsync(
            "query-named-block-nodes", new QmpBlockNodeQuery(Flat: true),
            QmpJson.Default.QmpBlockNodeQuery, QmpJson.Default.ListQmpBlockNode, cancellationToken).ConfigureAwait(false);

    /// <summary>Tears something loose that hangs in the network; overtakes a command in which QEMU hangs.</summary>
    public static Task YankAsync(this QmpConnection qmp, IReadOnlyList<QmpYankInstance> instances, CancellationToken cancellationToken) =>
        qmp.ExecuteOutOfBandAsync("yank", new QmpYank(instances), QmpJson.Default.QmpYank, QmpJson.Default.QmpNothing, cancellationToken);
}
