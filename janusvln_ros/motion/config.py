"""The configuration of an executor: the parameters of all its parts, and when each may change."""

from __future__ import annotations

from dataclasses import dataclass

from janusvln_ros.motion.admission import AdmissionParameters, AgeParameters
from janusvln_ros.motion.bases import BaseParameters, OutputParameters
from janusvln_ros.motion.commands import StepParameters
from janusvln_ros.motion.manual import ManualParameters
from janusvln_ros.motion.safety.clock import ClockParameters
from janusvln_ros.motion.safety.e_stop import EStopParameters
from janusvln_ros.motion.safety.guess import GuessParameters
from janusvln_ros.motion.safety.link import LinkParameters
from janusvln_ros.motion.safety.masters import MasterParameters
from janusvln_ros.motion.safety.obstacles import ObstacleParameters
from janusvln_ros.motion.safety.odometry import OdometryParameters, OpenLoopParameters
from janusvln_ros.motion.safety.response import ResponseParameters
from janusvln_ros.motion.safety.sensors import SensorParameters
from janusvln_ros.motion.safety.supervisor import SupervisorParameters
from janusvln_ros.motion.safety.travel import TravelParameters
from janusvln_ros.motion.tracking import DrivingParameters
from janusvln_ros.parameters import Changes, group


@dataclass(frozen=True)
class ExecutorConfig:
    """Made by `build(ExecutorConfig, {'odometry_timeout': 0.3})`; flat names are unique."""

    output: OutputParameters = group(OutputParameters)
    sensors: SensorParameters = group(SensorParameters)
    admission: AdmissionParameters = group(AdmissionParameters, changes=Changes.WHEN_STANDING)
    step: StepParameters = group(StepParameters, changes=Changes.WHEN_STANDING)
    driving: DrivingParameters = group(DrivingParameters, changes=Changes.WHEN_STANDING)
    base: BaseParameters = group(BaseParameters, changes=Changes.WHEN_STANDING)
    open_loop: OpenLoopParameters = group(OpenLoopParameters, changes=Changes.WHEN_STANDING)
    travel: TravelParameters = group(TravelParameters, changes=Changes.ALWAYS)
    odometry: OdometryParameters = group(OdometryParameters, changes=Changes.ALWAYS)
    response: ResponseParameters = group(ResponseParameters, changes=Changes.ALWAYS)
    supervisor: SupervisorParameters = group(SupervisorParameters, changes=Changes.ALWAYS)
    e_stop: EStopParameters = group(EStopParameters, changes=Changes.ALWAYS)
    clock: ClockParameters = group(ClockParameters, changes=Changes.ALWAYS)
    masters: MasterParameters = group(MasterParameters, changes=Changes.ALWAYS)
    link: LinkParameters = group(LinkParameters, changes=Changes.ALWAYS)
    age: AgeParameters = group(AgeParameters, changes=Changes.ALWAYS)
    manual: ManualParameters = group(ManualParameters, changes=Changes.ALWAYS)
    obstacles: ObstacleParameters = group(ObstacleParameters, changes=Changes.ALWAYS)
    guess: GuessParameters = group(GuessParameters, changes=Changes.ALWAYS)
