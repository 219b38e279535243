namespace Godwit.Api.VirtualMachines;

/// <summary>Changes some settings of a VM; what is null stays as it is. An empty text takes a text or a file away.</summary>
/// <param name="Memory">See <see cref="VirtualMachineSettings.Memory"/>.</param>
/// <param name="Cpus">See <see cref="VirtualMachineSettings.Cpus"/>.</param>
/// <param name="CompatibilityForMigration">See <see cref="VirtualMachineSettings.CompatibilityForMigration"/>.</param>
/// <param name="Kernel">See <see cref="VirtualMachineSettings.Kernel"/>.</param>
/// <param name="Initrd">See <see cref="VirtualMachineSettings.Initrd"/>.</param>
/// <param name="Append">See <see cref="VirtualMachineSettings.Append"/>.</param>
/// <param name="Serial">See <see cref="VirtualMachineSettings.Serial"/>.</param>
/// <param name="Networks">All adapters; an empty list takes them away.</param>
/// <param name="AutomaticStartAction">See <see cref="VirtualMachineSettings.AutomaticStartAction"/>.</param>
/// <param name="AutomaticStartDelay">See <see cref="VirtualMachineSettings.AutomaticStartDelay"/>.</param>
/// <param name="AutomaticStopAction">See <see cref="VirtualMachineSettings.AutomaticStopAction"/>.</param>
/// <param name="AutomaticCriticalErrorAction">See <see cref="VirtualMachineSettings.AutomaticCriticalErrorAction"/>.</param>
/// <param name="AutomaticCriticalErrorActionTimeout">See <see cref="VirtualMachineSettings.AutomaticCriticalErrorActionTimeout"/>.</param>
/// <param name="Notes">See <see cref="VirtualMachineSettings.Notes"/>.</param>
/// <param name="CheckpointType">See <see cref="VirtualMachineSettings.CheckpointType"/>.</param>
/// <param name="BootOrder">Names of drives; an empty list takes the order away.</param>
public sealed record SettingsChange(
    long? Memory = null,
    int? Cpus = null,
    bool? CompatibilityForMigration = null,
    string? Kernel = null,
    string? Initrd = null,
    string? Append = null,
    string? Serial = null,
    IReadOnlyList<NetworkAdapter>? Networks = null,
    StartAction? AutomaticStartAction = null,
    int? AutomaticStartDelay = null,
    StopAction? AutomaticStopAction = null,
    CriticalErrorAction? AutomaticCriticalErrorAction = null,
    int? AutomaticCriticalErrorActionTimeout = null,
    string? Notes = null,
    CheckpointType? CheckpointType = null,
    IReadOnlyList<string>? BootOrder = null)
{
    /// <summary>Whether anything is asked for that a VM takes up only when it starts.</summary>
    public bool NeedsOff =>
        (Memory ?? Cpus) is not null || CompatibilityForMigration is not null || (Kernel ?? Initrd ?? Append ?? Serial) is not null
        || Networks is not null || BootOrder is not null;

    /// <summary>The settings after the change.</summary>
    /// <param name="settings">The settings before.</param>
    public VirtualMachineSettings Apply(VirtualMachineSettings settings) => settings with
    {
        Memory = Memory ?? settings.Memory,
        Cpus = Cpus ?? settings.Cpus,
        CompatibilityForMigration = CompatibilityForMigration ?? settings.CompatibilityForMigration,
        Kernel = Text(Kernel, settings.Kernel),
        Initrd = Text(Initrd, settings.Initrd),
        Append = Text(Append, settings.Append),
        Serial = Text(Serial, settings.Serial),
        Networks = Networks ?? settings.Networks,
        AutomaticStartAction = AutomaticStartAction ?? settings.AutomaticStartAction,
        AutomaticStartDelay = AutomaticStartDelay ?? settings.AutomaticStartDelay,
        AutomaticStopAction = AutomaticStopAction ?? settings.AutomaticStopAction,
        AutomaticCriticalErrorAction = AutomaticCriticalErrorAction ?? settings.AutomaticCriticalErrorAction,
        AutomaticCriticalErrorActionTimeout = AutomaticCriticalErrorActionTimeout ?? settings.AutomaticCriticalErrorActionTimeout,
        Notes = Text(Notes, settings.Notes),
        CheckpointType = CheckpointType ?? settings.CheckpointType,
        BootOrder = BootOrder is null ? settings.BootOrder : BootOrder.Count == 0 ? null : BootOrder,
    };

    private static string? Text(string? change, string? before) => change is null ? before : change.Length == 0 ? null : change;
}
